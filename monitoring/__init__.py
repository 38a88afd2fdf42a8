"""Monitoring: drift of the data (`drift`) and performance of the served model (`performance`).

`report` draws the drift report. Nothing here decides, schedules, trains or serves.
"""
