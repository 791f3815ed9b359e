package serve

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/retainwise/millrace/store/customer"
)

const customerKeyFile = "customer-key"

// openCustomerKey makes the key from secret, or, if that is empty, from a file in dir, which the first start creates.
func openCustomerKey(secret, dir string) (customer.Key, error) {
	var err error
	if secret == "" {
		secret, err = readSecret(filepath.Join(dir, customerKeyFile))
	}
	var key customer.Key
	if err == nil {
		key, err = customer.NewKey([]byte(secret))
	}
	if err != nil {
		return key, fmt.Errorf("customer key: %w", err)
	}
	return key, nil
}

// readSecret reads a file with mode 0600, or creates it with random text.
func readSecret(path string) (string, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeSecret(path)
	}
	if err != nil {
		return "", err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 { // Windows keeps rights elsewhere
		return "", errors.New("others can read the file; set its mode to 0600")
	}
	text, err := os.ReadFile(path)
	return string(text), err
}

// makeSecret creates the file. Of several processes that start at the same time one wins; the others read its file.
func makeSecret(path string) (string, error) {
	file, err := os.CreateTemp(filepath.Dir(path), customerKeyFile+"-*") // mode 0600
	if err != nil {
		return "", err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	text := hex.EncodeToString(random(customer.SecretMin))
	_, err = file.WriteString(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return "", err
	}
	if err := os.Link(file.Name(), path); errors.Is(err, fs.ErrExist) {
		return readSecret(path)
	} else if err != nil {
		return "", err
	}
	return text, nil
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}
