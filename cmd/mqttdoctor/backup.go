package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"mqttdoctor/web"
	"mqttdoctor/web/archive"
)

const backupUsage = `Usage: mqttdoctor backup FILE [--data FOLDER] [--replace]

Copies the reports of a server to FILE, also while the server runs. FILE - writes to standard output.
`

const restoreUsage = `Usage: mqttdoctor restore FILE --replace [--data FOLDER]

Puts FILE, which mqttdoctor backup made, in the place of a server's reports. The server must not run. Where it has reports, --replace is needed: they are lost.
`

// errPostgres: the reports are not in a file.
var errPostgres = errors.New("the reports are in PostgreSQL (MQTTDOCTOR_DATABASE_URL is set): use pg_dump and pg_restore")

// keepFlags are those of backup and restore.
type keepFlags struct {
	file    string
	data    string
	replace bool
}

func parseKeep(command, usage string, args []string, w world) (keepFlags, error) {
	var f keepFlags
	config := web.DefaultConfig()
	if data := w.getenv(web.EnvPrefix + "DATA"); data != "" {
		config.Data = data
	}
	fs := flag.NewFlagSet("mqttdoctor "+command, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&f.data, "data", config.Data, "`folder` of the reports")
	fs.BoolVar(&f.replace, "replace", false, "put it in the place of what is there")
	var positional []string
	for rest := args; ; { // flags may stand before and after the file
		if err := fs.Parse(rest); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				fmt.Fprint(w.stdout, usage)
			}
			return f, err
		}
		if fs.NArg() == 0 {
			break
		}
		positional, rest = append(positional, fs.Arg(0)), fs.Args()[1:]
	}
	if len(positional) != 1 || positional[0] == "" {
		return f, errors.New("one FILE is needed")
	}
	f.file = positional[0]
	if w.getenv(web.EnvPrefix+"DATABASE_URL") != "" {
		return f, errPostgres
	}
	return f, nil
}

// runBackup is the subcommand `mqttdoctor backup FILE`.
func runBackup(ctx context.Context, args []string, w world) int {
	f, err := parseKeep("backup", backupUsage, args, w)
	if err != nil {
		return refuseKeep("backup", err, w)
	}
	if err := f.backup(ctx, w); err != nil {
		fmt.Fprintf(w.stderr, "mqttdoctor backup: %v\n", err)
		if errors.Is(err, os.ErrExist) {
			fmt.Fprintln(w.stderr, "The file is there already: choose another one, or give --replace.")
		}
		return exitFinding
	}
	return exitOK
}

func (f keepFlags) database() string { return filepath.Join(f.data, web.DatabaseFile) }

func (f keepFlags) backup(ctx context.Context, w world) error {
	if f.file == "-" {
		return f.stream(ctx, w.stdout)
	}
	if !f.replace {
		return archive.BackupSQLite(ctx, f.database(), f.file)
	}
	part := f.file + ".part" // an old backup stays until the new one is whole
	if err := os.Remove(part); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := archive.BackupSQLite(ctx, f.database(), part); err != nil {
		return err
	}
	return os.Rename(part, f.file)
}

// stream writes the copy to standard output, by way of a file in the folder of the reports, where there is room for it and nobody
// else looks.
func (f keepFlags) stream(ctx context.Context, out io.Writer) (err error) {
	dir, err := os.MkdirTemp(f.data, "backup-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, web.DatabaseFile)
	if err := archive.BackupSQLite(ctx, f.database(), path); err != nil {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, file)
	return errors.Join(err, file.Close())
}

// runRestore is the subcommand `mqttdoctor restore FILE`.
func runRestore(ctx context.Context, args []string, w world) int {
	f, err := parseKeep("restore", restoreUsage, args, w)
	if err == nil && !f.replace {
		if _, statErr := os.Stat(f.database()); statErr == nil {
			err = fmt.Errorf("%s is there, and would be lost: give --replace if that is meant", f.database())
		}
	}
	if err != nil {
		return refuseKeep("restore", err, w)
	}
	err = archive.RestoreSQLite(ctx, f.file, f.database())
	switch {
	case errors.Is(err, archive.ErrInUse):
		fmt.Fprintf(w.stderr, "mqttdoctor restore: a server works with the folder %s. End it first.\n", f.data)
		return exitFinding
	case err != nil:
		fmt.Fprintf(w.stderr, "mqttdoctor restore: %v\n", err)
		return exitFinding
	}
	return exitOK
}

// refuseKeep answers wrong usage.
func refuseKeep(command string, err error, w world) int {
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	fmt.Fprintf(w.stderr, "mqttdoctor %s: %v\nmqttdoctor %s --help tells how it is used.\n", command, err, command)
	return exitUsage
}
