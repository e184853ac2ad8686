"""What the compiled CPU versions of all ops share: register tiles in vector code, and how they are compiled."""
