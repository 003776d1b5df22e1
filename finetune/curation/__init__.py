"""From long videos with spoken or written descriptions to short clips that are worth annotating."""
