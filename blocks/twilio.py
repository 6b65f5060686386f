"""Short messages (SMS) by Twilio."""

from __future__ import annotations

from typing import ClassVar

import urllib3
from pydantic import Field, SecretStr, field_validator, model_validator

from orchestrator.block import Block
from orchestrator.errors import AccessDenied, InvalidInput
from orchestrator.interfaces import Notifier

from .http_messages import Api, HttpAddress, cut, titled, utf16_units

# www.twilio.com/docs, "Messages resource": POST /2010-04-01/Accounts/{sid}/Messages.json, a form with To, Body and From
# or MessagingServiceSid -> 201; `Body` has at most 1,600 characters. 401 (20003): account or token; 400: 21211 etc.
_LIMIT = 1_600


class Twilio(Block, Notifier):
    """Sends short messages (SMS) to phones by Twilio."""

    _name: ClassVar[str] = "Twilio"
    _slug: ClassVar[str] = "twilio"
    _logo: ClassVar[str] = "tabler:brand-twilio"
    _docs_url: ClassVar[str] = "https://www.twilio.com/docs/messaging/api/message-resource"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.twilio import Twilio

        sms = Twilio(account_sid="AC0123", auth_token="...", sender="+15005550006", recipients=["+15005550009"])
        sms.save("on-call")
        Twilio.load("on-call").notify("The daily load is late.")
        """

    account_sid: str = Field(pattern=r"^[A-Za-z0-9]{2,64}$", description="Id of the account (AC...).")
    auth_token: SecretStr = Field(min_length=1, description="The account's token, or the secret of an API key.")
    api_key_sid: str = Field("", description="Id of the API key (SK...) whose secret the token is; empty: the account.")
    sender: str = Field("", description="Number (+1...) or name that messages come from.")
    messaging_service_sid: str = Field("", description="Messaging service (MG...) that sends, in place of a sender.")
    recipients: list[str] = Field(min_length=1, max_length=100, description="Numbers, such as +4915112345678.")
    api_url: HttpAddress = Field("https://api.twilio.com", description="Address of Twilio's API.")

    @field_validator("recipients")
    @classmethod
    def _numbers(cls, recipients: list[str]) -> list[str]:
        cleaned = ["".join(char for char in number if char not in " -()./") for number in recipients]
        for number in cleaned:
            if not (number.startswith("+") and number[1:].isdigit()):
                raise ValueError(f"{number!r} is no number: write + and the country's code first")
        return cleaned

    @model_validator(mode="after")
    def _one_sender(self) -> Twilio:
        if bool(self.sender) == bool(self.messaging_service_sid):
            raise ValueError("give either sender or messaging_service_sid")
        return self

    def notify(self, body: str, subject: str = "") -> None:
        """Send the text to each of the numbers; one that is refused does not keep it from the others."""
        text = cut(titled(body, subject), _LIMIT, utf16_units)
        source = {"From": self.sender} if self.sender else {"MessagingServiceSid": self.messaging_service_sid}
        api, refused = self._api(), []
        for number in self.recipients:
            try:
                api.call("POST", "/Messages.json", form={"To": number, "Body": text, **source})
            except InvalidInput as error:
                refused.append(f"{number}: {error}")
        if refused:
            raise InvalidInput("; ".join(refused))

    def test(self) -> str:
        """Ask Twilio for the account."""
        account = self._api().call("GET", ".json").json()
        return f"The account {account.get('friendly_name', self.account_sid)} is {account.get('status', 'there')}."

    def _api(self) -> Api:
        token = self.auth_token.get_secret_value().strip()
        login = urllib3.make_headers(basic_auth=f"{self.api_key_sid or self.account_sid}:{token}")
        url = f"{self.api_url.rstrip('/')}/2010-04-01/Accounts/{self.account_sid}"
        secrets = (token, login["authorization"].partition(" ")[2])
        return Api("Twilio", url, {"Authorization": login["authorization"]}, secrets, missing=AccessDenied)
