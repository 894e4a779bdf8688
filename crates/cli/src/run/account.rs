//! The account that a new macOS guest makes by itself.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use vz::Provisioning;

use crate::failure::{Failure, Status};

/// Longest password, in bytes.
const MAX_PASSWORD: u64 = 1024;

#[derive(Debug, Default, Args)]
pub(super) struct AccountArgs {
    /// With a new macOS guest of macOS 27 on a Mac with macOS 27: let it make this account on its first start, instead of
    /// asking for one.
    #[arg(long, value_name = "NAME", requires = "password_file")]
    account: Option<String>,

    /// The account's password: the first line of a file, `-` for standard input. (Who looks at processes would see an
    /// argument.)
    #[arg(long, value_name = "FILE|-", requires = "account", value_hint = ValueHint::FilePath)]
    password_file: Option<PathBuf>,

    /// The whole name of the account's owner [default: the account's name]
    #[arg(long, value_name = "NAME", requires = "account")]
    full_name: Option<String>,

    /// Let the account log in by itself.
    #[arg(long, requires = "account")]
    auto_login: bool,

    /// Let the account be reached by SSH.
    #[arg(long, requires = "account")]
    ssh: bool,
}

impl AccountArgs {
    /// Whether an account is asked for.
    pub(super) fn is_given(&self) -> bool {
        self.account.is_some()
    }

    /// The account, if one is asked for, with its password read.
    pub(super) fn read(&self) -> Result<Option<Provisioning>, Failure> {
        let (Some(username), Some(path)) = (&self.account, &self.password_file) else { return Ok(None) };
        Ok(Some(Provisioning {
            full_name: self.full_name.clone().unwrap_or_else(|| username.clone()),
            username: username.clone(),
            password: password(path)?,
            logs_in_automatically: self.auto_login,
            enables_remote_login: self.ssh,
        }))
    }
}

fn password(path: &Path) -> Result<String, Failure> {
    let wrong = |what: String| Failure::new(Status::Usage, format!("--password-file {}: {what}", path.display()));
    let first_line = |reader: &mut dyn Read| {
        let mut line = String::new();
        BufReader::new(reader.take(MAX_PASSWORD + 1)).read_line(&mut line).map(|_| line)
    };
    let line = match path == Path::new("-") {
        true => first_line(&mut std::io::stdin().lock()),
        false => File::open(path).and_then(|mut file| first_line(&mut file)),
    };
    let line = line.map_err(|error| wrong(error.to_string()))?;
    match line.trim_end_matches(['\r', '\n']) {
        "" => Err(wrong("there is no password in its first line".to_owned())),
        line if line.len() as u64 > MAX_PASSWORD => {
            Err(wrong(format!("its first line is no password: it is longer than {MAX_PASSWORD} bytes")))
        }
        line => Ok(line.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_the_first_line_of_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pw");
        let account = AccountArgs {
            account: Some("ada".into()),
            password_file: Some(path.clone()),
            ssh: true,
            ..AccountArgs::default()
        };
        assert!(account.read().unwrap_err().to_string().contains("--password-file"));
        std::fs::write(&path, "\nsecret").unwrap();
        assert!(account.read().unwrap_err().to_string().contains("no password in its first line"));
        std::fs::write(&path, "x".repeat(1025)).unwrap();
        assert!(account.read().unwrap_err().to_string().contains("longer than 1024 bytes"));
        // What is behind the first line is not even looked at.
        std::fs::write(&path, b"sec ret\r\nmore\xff").unwrap();
        let read = account.read().unwrap().unwrap();
        assert_eq!((read.full_name.as_str(), read.password.as_str()), ("ada", "sec ret"));
        assert!(read.enables_remote_login && !read.logs_in_automatically);
        assert_eq!(AccountArgs::default().read().unwrap(), None);
    }
}
