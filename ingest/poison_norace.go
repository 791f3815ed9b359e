//go:build !race

package ingest

const poisoned = false
