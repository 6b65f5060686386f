"""Deployments with what belongs to them: blocks of their own, schedules, saved forms, notifications."""
