-- Gives a role the password in a file of the secrets, which no command line shows:
--   psql -v role=shs_owner -v secret=database_password < deploy/compose/new_password.sql
\set ON_ERROR_STOP on
\set password `cat /run/secrets/:secret`
\if :SHELL_ERROR
    do $$ begin raise 'The secret cannot be read: nothing was changed.'; end $$;
\endif
alter role :"role" password :'password';
