"""Every model behind one interface: ``fit`` on a prepared set, ``predict`` instances in original pixels."""
