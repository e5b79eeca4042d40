"""Text made safe for HTML and SVG."""

import re
from html import escape as escape_html

# What XML 1.0 cannot hold, even escaped: most control characters, surrogates, two non-characters.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Html(str):
    """Markup that is already safe; any other string is escaped before it enters a page."""

    __slots__ = ()


def escape(text: object) -> Html:
    """`text` as safe HTML and XML, in content or in a quoted attribute; Html passes unchanged.

    Characters that XML cannot hold become U+FFFD.
    """
    if isinstance(text, Html):
        return text
    return Html(escape_html(_NOT_XML.sub("\ufffd", str(text)), quote=True))


def element(tag: str, *content: object, **attributes: object) -> Html:
    """One element; content and attribute values are escaped, attributes of value None left out.

    A trailing underscore is dropped from attribute names (`class_`), inner ones become hyphens.
    """
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    return Html(f"<{tag}{written}>{''.join(escape(part) for part in content)}</{tag}>")
