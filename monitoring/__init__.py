"""What the data says about the loop: has it moved (`drift`), does the model still do its job (`performance`).

`report` draws the page that a person opens. Nothing here takes a decision, schedules, trains or serves.
"""
