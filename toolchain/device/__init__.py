"""Put an artefact somewhere and measure it there. Knows Artifact and TargetProfile, never Graph."""
