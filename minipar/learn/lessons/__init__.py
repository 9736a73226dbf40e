"""Which lessons are there? One module a lesson; each fills one ``LESSON`` (see ``minipar/learn/lesson.py``)."""
