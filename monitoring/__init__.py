"""Monitoring: drift of the data (`drift`) and performance of the served model (`performance`).

`report` draws the page that a person opens. Nothing here takes a decision, schedules, trains or serves.
"""
