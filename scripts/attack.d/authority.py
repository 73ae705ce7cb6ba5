"""A throwaway certificate authority, by openssl."""

import os
import subprocess

from stage import CannotRun


class Authority:
    def __init__(self, stage, name="attack"):
        self.stage, self.name = stage, name
        self.key, self.certificate = stage.path(f"{name}-ca.key"), stage.path(f"{name}-ca.pem")
        openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", f"/CN={name} throwaway authority", "-keyout", self.key, "-out", self.certificate,
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign",
        )
        os.chmod(self.certificate, 0o644)

    def issue(self, name, alternatives):
        """A certificate and its key, as paths. `alternatives` is what openssl takes for subjectAltName."""
        request, key, certificate = (self.stage.path(f"{name}.{end}") for end in ("csr", "key", "pem"))
        extensions = self.stage.write(f"{name}.ext", f"subjectAltName={alternatives}\nextendedKeyUsage=serverAuth\n")
        openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=attack",
            "-keyout", key, "-out", request,
        )
        openssl(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial",
            "-days", "2", "-extfile", extensions, "-out", certificate,
        )
        # HAProxy wants both in one file; the gateways run as other users than root's.
        both = self.stage.path(f"{name}-both.pem")
        with open(both, "w", encoding="ascii") as out:
            for part in (certificate, key):
                with open(part, encoding="ascii") as source:
                    out.write(source.read())
        for path in (key, certificate, both):
            os.chmod(path, 0o644)
        return Issued(certificate, key, both)


class Issued:
    def __init__(self, certificate, key, both):
        self.certificate, self.key, self.both = certificate, key, both


def openssl(*args):
    made = subprocess.run(["openssl", *args], capture_output=True, text=True, check=False)
    if made.returncode:
        raise CannotRun(f"openssl {args[0]}: {made.stderr.strip()[-300:]}")
