"""Rules of time: schedules, crontabs, retries."""
