"""Each outside thing behind one door: files, encoders, experts, the store."""
