package cli

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/retainwise/millrace/engine/draft"
)

//go:embed library.py
var libraryScript string

// libraryPatience bounds the time of a small prediction: most of it is Python's start.
const libraryPatience = 2 * time.Minute

// trainingLibrary returns a function that lets Python score rows with the library that trained a model; nil if there is no
// such program.
func trainingLibrary(python, model string) func(context.Context, draft.LibraryRequest) (*draft.LibraryScores, error) {
	if python == "" {
		return nil
	}
	program, err := exec.LookPath(python)
	if err != nil {
		return nil
	}
	return func(ctx context.Context, q draft.LibraryRequest) (*draft.LibraryScores, error) {
		ctx, stop := context.WithTimeout(ctx, libraryPatience)
		defer stop()
		path, err := filepath.Abs(model)
		if err != nil {
			return nil, err
		}
		request, err := json.Marshal(struct {
			draft.LibraryRequest
			Model string `json:"model"`
		}{q, path})
		if err != nil {
			return nil, err
		}
		var out, problem bytes.Buffer
		cmd := exec.CommandContext(ctx, program, "-c", libraryScript) //nolint:gosec // the program is the user's choice
		cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(request), &out, &problem
		if err := cmd.Run(); err != nil {
			if last := lastLine(problem.String()); last != "" {
				return nil, errors.New(last)
			}
			return nil, err
		}
		s := new(draft.LibraryScores)
		if err := json.Unmarshal(out.Bytes(), s); err != nil {
			return nil, fmt.Errorf("read the answer of %s: %w", python, err)
		}
		return s, nil
	}
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
