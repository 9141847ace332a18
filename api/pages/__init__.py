"""Pages for people: sign-in, and what a clinician looks at, under `/app`.

One module a page, with its routes; one template a page of the same name, over a shared layout and macros. A page calls
the services that the API calls, with a principal from the session in place of one from a token.
"""
