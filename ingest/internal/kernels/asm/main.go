// Command asm writes the assembly of package kernels. Run it through go generate.
package main

import (
	"flag"
	"log"

	. "github.com/mmcloughlin/avo/build"
)

// The constraint of every generated file; its negation chooses the files without assembly.
const constraint = "amd64,!purego"

func main() {
	file := flag.String("file", "", "which file to write: index or cells")
	flag.Parse()
	ConstraintExpr(constraint)
	switch *file {
	case "index":
		for _, w := range []*width{&avx512, &avx2} {
			index(w)
			scan(w)
			leads(w)
		}
	case "cells":
		numbers()
		categories()
	default:
		log.Fatalf("unknown file %q", *file)
	}
	Generate()
}
