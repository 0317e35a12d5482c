package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/sodahttp/sodahttp/pace"
)

// A keeper keeps what a Pacer has learned for the next run, and for tomorrow's
// export. There are hosts, data sets and rates in the file, and no token.
type keeper struct {
	path  string
	pacer *pace.Pacer
}

// load has the Pacer take in what is there. Nothing is lost if it cannot.
func (k *keeper) load() error {
	data, err := os.ReadFile(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, k.pacer); err != nil {
		return fmt.Errorf("%s is damaged: %w", k.path, err)
	}
	return nil
}

func (k *keeper) save() error {
	return replace(k.path, func(w io.Writer) error { return json.NewEncoder(w).Encode(k.pacer) })
}
