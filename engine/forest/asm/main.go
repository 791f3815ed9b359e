// Command asm writes the assembly of package forest. Run it through go generate.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
)

// The constraint of every generated file; its negation chooses the files without assembly.
const constraint = "amd64,!purego"

func main() {
	ConstraintExpr(constraint)
	for _, packs := range []int{4, 1} {
		for _, p := range []precision{double, single} {
			scoreAVX512(fmt.Sprintf("scoreAVX512%sx%d", p.name, packs), packs, p)
		}
	}
	Generate()
}
