"""The words stories are made of, as tables by kind."""


def words(text: str) -> tuple[str, ...]:
    """Words written one after another."""
    return tuple(text.split())


def phrases(text: str) -> tuple[str, ...]:
    """Phrases with bars between them."""
    return tuple(" ".join(phrase.split()) for phrase in text.split("|"))


def rows(table: str) -> list[list[str]]:
    """The rows of a table, each a list of cells (bars between the cells)."""
    return [[cell.strip() for cell in line.split("|")] for line in table.strip().split("\n")]
