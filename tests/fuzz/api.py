def run(seconds):
    raise NotImplementedError
