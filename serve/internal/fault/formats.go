package fault

// AllowedFormats are the ends of names that are taken, without their points.
func AllowedFormats() []string { return []string{"csv", "csv.gz", "csv.zst"} }
