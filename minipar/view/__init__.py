"""How does one see it? Pictures of plans, traces and memory, for a notebook.

Each picture has two forms: a live one (a widget, when somebody sits at the front end) and a plain one (text and a
plotly figure, for a saved notebook). Importing this package imports no plotly and no widgets; its modules do.
"""
