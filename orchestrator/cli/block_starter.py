"""What ``orchestrator block new`` writes."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..errors import InvalidInput

_KIND = '''\
"""{title}: a kind of block of our own."""

from __future__ import annotations

import urllib.error
import urllib.request

from orchestrator.block import Block
from orchestrator.errors import Unavailable
from pydantic import Field, SecretStr


class {name}(Block):
    """Where {title} listens, and what it lets us in with."""

    _name = "{title}"
    _slug = "{slug}"
    _logo = "tabler:box"
    _code_example = """
        from {module} import {name}

        print({name}.load("main").headers())
        """

    url: str = Field(description="Its address, such as https://example.com/api.", pattern=r"https?://.+")
    token: SecretStr = Field(description="Goes with every request.")
    timeout_s: float = Field(10.0, gt=0, description="How long an answer may take, in seconds.")

    def headers(self) -> dict[str, str]:
        """The header fields that let a request in."""
        return {{"Authorization": f"Bearer {{self.token.get_secret_value()}}"}}

    def test(self) -> str:
        """Ask for the address itself; the page's *Test* and `orchestrator block test` call this on an agent."""
        request = urllib.request.Request(self.url, headers=self.headers())
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_s) as answer:
                return f"{{self.url}} answers {{answer.status}}."
        except urllib.error.HTTPError as error:
            raise Unavailable(f"{{self.url}} answers {{error.code}}: check the token") from error
        except OSError as error:
            raise Unavailable(f"{{self.url}} does not answer: {{error}}") from error
'''

_TEST = '''\
"""{title}: its form is whole, its secret is kept, and it tells what does not work."""

from __future__ import annotations

import pytest
from orchestrator.errors import Unavailable
from pydantic import ValidationError

from {module} import {name}


@pytest.fixture
def block() -> {name}:
    # Nothing listens on port 1 of this computer.
    return {name}(url="http://127.0.0.1:1", token="not-to-be-seen", timeout_s=2)


def test_the_form_is_whole() -> None:
    facts = {name}.type_facts()
    fields = facts["schema"]["properties"]
    assert facts["slug"] == "{slug}"
    assert facts["description"]
    assert all(field.get("description") for field in fields.values())
    assert fields["token"]["writeOnly"] is True


def test_the_secret_is_not_shown(block: {name}) -> None:
    assert block.headers() == {{"Authorization": "Bearer not-to-be-seen"}}
    assert "not-to-be-seen" not in f"{{block!r}} {{block}} {{block.model_dump()}}"


def test_it_is_the_same_after_being_saved_and_loaded(block: {name}) -> None:
    assert {name}.from_document(block.to_document()) == block


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError, match="url"):
        {name}(url="example.com", token="t")


def test_what_does_not_answer_is_told(block: {name}) -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        block.test()
'''


class Starter(NamedTuple):
    """A kind of block and its test, as files."""

    slug: str
    file: str
    kind: str
    test_file: str
    test: str


def starter(title: str) -> Starter:
    """The files for a kind that people call ``title``. Raises InvalidInput where no class can be named like that."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", title)
    words = re.findall(r"[A-Za-z0-9]+", spaced)
    if not words or not words[0][0].isalpha() or len(title) > 80 or not re.fullmatch(r"[\w -]+", title):
        raise InvalidInput(f"{title!r} names no class: write up to 80 letters and digits, such as Warehouse")
    module = "_".join(word.lower() for word in words)
    names = {
        "title": " ".join(words),
        "name": "".join(word[0].upper() + word[1:] for word in words),
        "slug": "-".join(word.lower() for word in words),
        "module": module,
    }
    return Starter(names["slug"], f"{module}.py", _KIND.format(**names), f"test_{module}.py", _TEST.format(**names))
