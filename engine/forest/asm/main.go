// Command asm writes the assembly of package forest. Run it through go generate.
package main

import (
	"flag"
	"fmt"
	"log"
	"strings"

	. "github.com/mmcloughlin/avo/build"
)

// The constraint of every generated file; its negation chooses the files without assembly.
const constraint = "amd64,!purego"

func main() {
	name := flag.String("file", "", "which file to write, as in its name: score-avx512, few, …")
	flag.Parse()
	ConstraintExpr(constraint)
	switch *name {
	case "score-avx512":
		eachScorer(func(packs int, p precision) { scoreAVX512(fmt.Sprintf("scoreAVX512%sx%d", p.name, packs), packs, p) })
	case "score-avx2":
		eachScorer(func(packs int, p precision) { scoreAVX2(fmt.Sprintf("scoreAVX2%sx%d", p.name, packs), packs, p) })
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
		log.Fatalf("unknown file %q", *name)
	}
	write("../kernel_" + strings.ReplaceAll(*name, "-", "_") + "_amd64")
}

func eachScorer(scorer func(packs int, p precision)) {
	for _, packs := range []int{4, 1} {
		scorer(packs, double)
		scorer(packs, single)
	}
}

// write generates the assembly and its declarations; avo takes the names as flags.
func write(path string) {
	for name, value := range map[string]string{"out": path + ".s", "stubs": path + ".go", "pkg": "forest"} {
		if err := flag.Set(name, value); err != nil {
			log.Fatalf("set flag %s: %v", name, err)
		}
	}
	Generate()
}
