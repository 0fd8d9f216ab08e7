"""stub"""
def note_what_cannot_run(reader, pipeline):
    pass
