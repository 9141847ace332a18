"""Pictures: Vega-Lite specifications and their rendering. Everything that draws goes through here."""
