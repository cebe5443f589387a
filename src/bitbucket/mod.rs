//! Bitbucket's Code Insights: reports on a commit, which its pull requests show to reviewers.

pub(crate) mod client;
pub(crate) mod report;
