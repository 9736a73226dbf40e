"""What does it cost? Bytes, and which machine holds them.

Closed forms over plain numbers: nothing here runs a model or imports torch. What runs is compared with it in the tests.
"""
