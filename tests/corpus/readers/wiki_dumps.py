"""Dumps of MediaWiki for tests, in the form of export schema 0.11."""

import bz2
from collections.abc import Sequence
from xml.sax.saxutils import escape

HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="en">
  <siteinfo>
    <sitename>Wikipedia</sitename>
    <dbname>simplewiki</dbname>
    <base>https://simple.wikipedia.org/wiki/Main_Page</base>
    <namespaces>
      <namespace key="0" case="first-letter" />
      <namespace key="6" case="first-letter">Datei</namespace>
      <namespace key="14" case="first-letter">Kategorie</namespace>
    </namespaces>
  </siteinfo>
"""
TAIL = "</mediawiki>\n"


def page(number: int, title: str, text: str, *, namespace: int = 0, redirect: str = "") -> str:
    tag = f'    <redirect title="{escape(redirect)}" />\n' if redirect else ""
    return f"""  <page>
    <title>{escape(title)}</title>
    <ns>{namespace}</ns>
    <id>{number}</id>
{tag}    <revision>
      <id>{number + 1000}</id>
      <contributor><username>A</username><id>7</id></contributor>
      <text bytes="{len(text)}" xml:space="preserve">{escape(text)}</text>
    </revision>
  </page>
"""


def dump_of(pages: Sequence[tuple[str, str]]) -> bytes:
    """A dump of articles (title, wikitext)."""
    bodies = [page(number, *one) for number, one in enumerate(pages, start=1)]
    return (HEAD + "".join(bodies) + TAIL).encode()


def multistream(pages: Sequence[tuple[str, str]], together: int) -> bytes:
    """The same, in bzip2 streams of `together` pages, head and tail apart."""
    bodies = [page(number, *one) for number, one in enumerate(pages, start=1)]
    streams = ["".join(bodies[at : at + together]) for at in range(0, len(bodies), together)]
    return b"".join(bz2.compress(part.encode()) for part in (HEAD, *streams, TAIL))
