package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/retainwise/millrace/chaos/check"
)

// input is a file to send, and what must come of it.
type input struct {
	check.Input
	edited  []byte // the result by the edited bundle; nil without one
	explain string
}

// makeInputs makes files and has the command line score each, undisturbed.
func makeInputs(ctx context.Context, random *rand.Rand, program, dir string) ([]*input, error) {
	shapes := []struct {
		rows    int
		explain string
		refuse  func(row int) bool // whether the row is one to be rejected
	}{
		{400, "all", func(int) bool { return false }},
		{1500, "all", func(row int) bool { return row%97 == 5 }},
		{3000, "none", func(row int) bool { return random.IntN(10) == 0 }},
		{2500, "none", func(row int) bool { return row > 500 && row < 1500 }}, // whole parts without a scored row
		{800, "at_risk", func(row int) bool { return random.IntN(2) == 0 }},
		{5000, "none", func(int) bool { return false }},
		{60, "all", func(int) bool { return false }}, // one part
		{1200, "none", func(row int) bool { return row != 600 }},
	}
	edited := filepath.Join(dir, "edited")
	if err := writeBundle(edited, kindEdited, kindEdited); err != nil {
		return nil, err
	}
	var inputs []*input
	for i, s := range shapes {
		in := &input{explain: s.explain}
		in.CSV = customers(random, s.rows, s.refuse)
		name := filepath.Join(dir, fmt.Sprintf("input-%d.csv", i))
		if err := os.WriteFile(name, in.CSV, 0o600); err != nil {
			return nil, err
		}
		if err := in.score(ctx, program, name, edited); err != nil {
			return nil, err
		}
		inputs = append(inputs, in)
	}
	return inputs, nil
}

// score has the command line score a file with telecom and with the edited bundle in a directory.
func (in *input) score(ctx context.Context, program, name, edited string) error {
	for _, model := range []string{edited, "telecom"} {
		command := exec.CommandContext(ctx, program, "score", "--model", model, "--explain", in.explain,
			"--out", name+".result", "--rejects", name+".rejects", "--allow-rejects", name)
		if text, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("score undisturbed: %w\n%s", err, text)
		}
		in.edited = in.Result
		var err, rejectsErr error
		in.Result, err = os.ReadFile(name + ".result")
		in.Rejects, rejectsErr = os.ReadFile(name + ".rejects")
		if err := errors.Join(err, rejectsErr); err != nil {
			return err
		}
	}
	return nil
}

// customers writes a file of customers, some of whom have a tenure that is no number.
func customers(random *rand.Rand, rows int, refuse func(row int) bool) []byte {
	var b bytes.Buffer
	b.WriteString("customerID,tenure,MonthlyCharges,TotalCharges,Contract,PaymentMethod,InternetService,note\n")
	for row := 1; row <= rows; row++ {
		tenure := fmt.Sprint(random.IntN(72))
		if refuse(row) {
			tenure = "unknown"
		}
		monthly := 20 + random.Float64()*100
		fmt.Fprintf(&b, "C-%d-%d,%s,%.2f,%.2f,%s,%s,%s,%s\n", rows, row, tenure, monthly, monthly*20,
			pick(random, "Month-to-month", "One year", "Two year"),
			pick(random, "Electronic check", "Mailed check", "Credit card (automatic)"),
			pick(random, "DSL", "Fiber optic", "No"),
			pick(random, "", "plain", `"a, ""quoted"" one"`, "\"over\ntwo lines\"", "fünf Straßen weiter"))
	}
	return b.Bytes()
}

func pick(random *rand.Rand, choices ...string) string { return choices[random.IntN(len(choices))] }
