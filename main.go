// Millrace scores customer files for churn: CSV in, probabilities and reasons out, as a server or on the command line.
package main

import (
	"os"

	"github.com/retainwise/millrace/cli/server"
)

func main() { os.Exit(server.Full().Main()) }
