// Command asm writes the assembly of package forest. Run it through go generate.
package main

import (
	"flag"
	"fmt"
	"log"

	. "github.com/mmcloughlin/avo/build"
)

// The constraint of every generated file; its negation chooses the files without assembly.
const constraint = "amd64,!purego"

func main() {
	file := flag.String("file", "", "which file to write: score-avx512, score-avx2, bin-avx512, bin-avx2, row-avx512 or few")
	flag.Parse()
	ConstraintExpr(constraint)
	switch *file {
	case "score-avx512":
		for _, packs := range []int{4, 1} {
			for _, p := range []precision{double, single} {
				scoreAVX512(fmt.Sprintf("scoreAVX512%sx%d", p.name, packs), packs, p)
			}
		}
	case "score-avx2":
		for _, packs := range []int{4, 1} {
			for _, p := range []precision{double, single} {
				scoreAVX2(fmt.Sprintf("scoreAVX2%sx%d", p.name, packs), packs, p)
			}
		}
	case "bin-avx512":
		binAVX512("binAVX512F64", false)
		binAVX512("binAVX512F32", true)
		binRowAVX512("binRowAVX512F64", false)
		binRowAVX512("binRowAVX512F32", true)
	case "bin-avx2":
		binAVX2("binAVX2F64", false)
		binAVX2("binAVX2F32", true)
	case "row-avx512":
		for _, bits := range []int{32, 64} {
			for _, p := range []precision{double, single} {
				scoreRowAVX512(fmt.Sprintf("scoreRowAVX512%sx%d", p.name, bits), bits, p)
			}
		}
	case "few":
		addEights("addEightsF64", 8)
		addEights("addEightsF32", 4)
	default:
		log.Fatalf("unknown file %q", *file)
	}
	Generate()
}
