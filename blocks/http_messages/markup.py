"""Markdown as other systems write it: HTML of mails, the HTML of Telegram, the documents of Atlassian."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

# HTML inside the Markdown stays text; addresses of scripts are no links.
_markdown = MarkdownIt("commonmark", {"html": False}).enable("strikethrough")


def html(text: str) -> str:
    """Markdown as HTML."""
    return str(_markdown.render(text))


_TELEGRAM_INLINE = {
    "strong_open": "<b>", "strong_close": "</b>", "em_open": "<i>", "em_close": "</i>",
    "s_open": "<s>", "s_close": "</s>", "link_close": "</a>", "softbreak": "\n", "hardbreak": "\n",
}  # fmt: skip
_TELEGRAM_BLOCK = {
    "heading_open": "<b>", "heading_close": "</b>\n\n", "blockquote_open": "<blockquote>",
    "hr": "———\n\n",
}  # fmt: skip


def telegram_html(text: str) -> str:
    """Markdown in the few tags that Telegram's ``parse_mode`` HTML knows: b, i, s, a, code, pre, blockquote."""
    parts: list[str] = []
    lists: list[int | None] = []  # of each open list the next number; None: bullets
    for token in _markdown.parse(text):
        if token.type == "inline":
            parts += [_telegram_inline(child) for child in token.children or ()]
        elif token.type in ("fence", "code_block"):
            parts.append(f"<pre>{escape(token.content.rstrip(), quote=False)}</pre>\n\n")
        elif token.type in ("bullet_list_open", "ordered_list_open"):
            lists.append(int(token.attrGet("start") or 1) if token.type.startswith("ordered") else None)
        elif token.type in ("bullet_list_close", "ordered_list_close"):
            lists.pop()
            parts.append("\n")
        elif token.type == "list_item_open":
            number = lists[-1]
            parts.append("  " * (len(lists) - 1) + ("• " if number is None else f"{number}. "))
            lists[-1] = None if number is None else number + 1
        elif token.type == "blockquote_close":
            parts = ["".join(parts).rstrip("\n"), "</blockquote>\n"]
        elif token.type == "paragraph_close":
            parts.append("\n" if lists else "\n\n")
        else:
            parts.append(_TELEGRAM_BLOCK.get(token.type, ""))
    return "".join(parts).strip()


def _telegram_inline(token: Token) -> str:
    if token.type == "code_inline":
        return f"<code>{escape(token.content, quote=False)}</code>"
    if token.type == "link_open":
        return f'<a href="{escape(str(token.attrGet("href") or ""))}">'
    if token.type == "image":
        return escape(token.content or str(token.attrGet("src") or ""), quote=False)
    return _TELEGRAM_INLINE.get(token.type, escape(token.content, quote=False))


_ATLASSIAN_BLOCK = {
    "paragraph_open": "paragraph", "bullet_list_open": "bulletList", "ordered_list_open": "orderedList",
    "list_item_open": "listItem", "blockquote_open": "blockquote", "heading_open": "heading",
}  # fmt: skip
_ATLASSIAN_MARK = {"strong_open": "strong", "em_open": "em", "s_open": "strike"}


def atlassian_document(text: str) -> dict[str, Any]:
    """Markdown as a document of Atlassian (ADF, version 1), which Jira's REST API 3 takes for descriptions."""
    root: dict[str, Any] = {"type": "doc", "version": 1, "content": []}
    open_nodes = [root]
    for token in _markdown.parse(text):
        content = open_nodes[-1]["content"]
        if token.type == "inline":
            content += _atlassian_inline(token.children or ())
        elif token.type in ("fence", "code_block"):
            code = [{"type": "text", "text": token.content.rstrip("\n")}] if token.content.strip() else []
            content.append({"type": "codeBlock", "content": code})
        elif token.type == "hr":
            content += [{"type": "rule"}] if len(open_nodes) == 1 else []
        elif token.type in _ATLASSIAN_BLOCK:
            open_nodes.append(_atlassian_block(token, open_nodes[-1]))
        elif token.nesting < 0 and (node := open_nodes.pop())["type"] in ("listItem", "blockquote"):
            node["content"] = node["content"] or [{"type": "paragraph", "content": []}]
    root["content"] = root["content"] or [{"type": "paragraph", "content": []}]
    return root


def _atlassian_block(token: Token, parent: dict[str, Any]) -> dict[str, Any]:
    """A new block in ``parent``, or what comes nearest there: items and quotes hold neither headings nor quotes."""
    kind = _ATLASSIAN_BLOCK[token.type]
    if kind == "blockquote" and parent["type"] != "doc":
        return parent
    if kind == "heading" and parent["type"] != "doc":
        kind = "paragraph"
    node: dict[str, Any] = {"type": kind, "content": []}
    if kind == "heading":
        node["attrs"] = {"level": int(token.tag[1:])}
    parent["content"].append(node)
    return node


def _atlassian_inline(tokens: Sequence[Token]) -> Iterable[dict[str, Any]]:
    marks: list[dict[str, Any]] = []
    for token in tokens:
        if token.type in _ATLASSIAN_MARK:
            marks.append({"type": _ATLASSIAN_MARK[token.type]})
        elif token.type == "link_open":
            marks.append({"type": "link", "attrs": {"href": str(token.attrGet("href") or "")}})
        elif token.nesting < 0:
            marks.pop()
        elif token.type in ("softbreak", "hardbreak"):
            yield {"type": "hardBreak"}
        elif token.content or token.type == "image":
            yield _atlassian_text(token, marks)


def _atlassian_text(token: Token, marks: list[dict[str, Any]]) -> dict[str, Any]:
    text = token.content or str(token.attrGet("src") or "image")
    # An address that is none by itself would have the whole document refused.
    marks = [mark for mark in marks if mark["type"] != "link" or ":" in mark["attrs"]["href"]]
    if token.type == "code_inline":  # the mark goes with links only
        marks = [mark for mark in marks if mark["type"] == "link"] + [{"type": "code"}]
    return {"type": "text", "text": text, **({"marks": list(marks)} if marks else {})}
