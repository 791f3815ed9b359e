// Package samples embeds the sample files of the baselines.
package samples

import "embed"

//go:embed telecom_sample.csv saas_sample.csv
var files embed.FS

// Of returns the sample CSV of a baseline; false if it has none.
func Of(model string) ([]byte, bool) {
	file, err := files.ReadFile(model + "_sample.csv")
	return file, err == nil
}
