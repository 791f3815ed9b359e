// Slim is millrace without servers: it scores files and makes bundles. The Python package brings it.
package main

import (
	"os"

	"github.com/retainwise/millrace/cli"
)

func main() { os.Exit(cli.Slim().Main()) }
