//go:build !unix

package storetest

import (
	"errors"
	"os/exec"
)

func detach(*exec.Cmd) {}

func lock(string) (unlock func(), err error) {
	return nil, errors.New("the test servers need a Unix")
}
