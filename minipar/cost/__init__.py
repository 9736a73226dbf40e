"""What does it cost? Bytes held and bytes sent, and on which machine.

Closed forms over plain numbers: nothing here runs a model or imports torch. What runs is compared with it in the tests.
"""
