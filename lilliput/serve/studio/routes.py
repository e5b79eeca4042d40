"""The studio's one router: pages, and the data of each."""

from fastapi import APIRouter

from lilliput.serve.studio.about import about
from lilliput.serve.studio.corpora import corpora
from lilliput.serve.studio.pages import pages
from lilliput.serve.studio.runs import runs
from lilliput.serve.studio.tokenizers import tokenizers
from lilliput.serve.studio.writing import writing
from lilliput.serve.studio.xray import xray

router = APIRouter(include_in_schema=False)
for _part in (about, writing, tokenizers, runs, xray, corpora, pages):
    router.include_router(_part)
