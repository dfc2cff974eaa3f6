"""Stage 2: what can we sell, when and where, and how sure are we?"""
