"""Wording packs: an organisation's own text of a questionnaire, the licence it attests, and forms made of both."""
