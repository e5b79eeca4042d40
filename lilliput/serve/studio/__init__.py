"""The studio: web pages that show what a served model does, and the data they ask for.

`router` holds both. It finds the models in `app.state.models` and what else the pages may show in
`app.state.studio`, a `StudioSettings`.
"""

from lilliput.serve.studio.routes import router
from lilliput.serve.studio.settings import StudioSettings

__all__ = ["StudioSettings", "router"]
