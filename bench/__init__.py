"""Each kernel beside its best peers, answers asserted."""
