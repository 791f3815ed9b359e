//go:build !unix

package cli

import (
	"io/fs"
	"os"
)

// keepOwner does nothing on systems without file owners.
func keepOwner(*os.File, fs.FileInfo) error { return nil }
