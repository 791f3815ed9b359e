package fault

// AllowedFormats returns the accepted filename extensions, without the leading dot.
func AllowedFormats() []string { return []string{"csv", "csv.gz", "csv.zst"} }
