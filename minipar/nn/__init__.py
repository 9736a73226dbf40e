"""Which layers does the model consist of, and what does each of them compute?

The modules here are the *whole* ones: readable, from scratch, on one device. Every later way of cutting a layer is
tested equal to its whole twin. `gpt.py` describes the one model of all lessons; `text.py` is what it reads.
"""
