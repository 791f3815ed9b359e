package serve

// allowedFormats are the ends of names that are taken, without their points.
func allowedFormats() []string { return []string{"csv", "csv.gz", "csv.zst"} }
