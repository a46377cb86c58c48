"""The main job: Recursive Expert Delegation from labelled texts and a pool to decisions."""
