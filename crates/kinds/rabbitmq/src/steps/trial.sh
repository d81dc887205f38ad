# Tries a rabbitmq.conf: the broker's own code reads it, with the schemas of its plugins, as its user. It does so in a virtual
# machine beside the broker's, for it loads and unloads applications on its way: in the broker this would drop the settings of
# plugins that are off. It reads files and writes none.
# Arguments: user and group of the broker, the directories of its plugins, the file, its path, and the broker's other files.
cd / || exit 1
user=$1 group=$2
shift 2
as=
[ "$(id -u)" != 0 ] || as="setpriv --reuid $user --regid $group --init-groups --no-new-privs"
# Without these the first member that is started proves the file.
command -v erl >/dev/null && $as true || exit 0
export HOME=/ ERL_LIBS="$1" ERL_CRASH_DUMP_SECONDS=0
# A version that does not tell (before 3.10.8), and one that does not accept the file of the broker that runs, are no judges.
exec $as erl -noinput -boot no_dot_erlang +S 1 -eval '
    [Plugins, New, Old | More] = init:get_plain_arguments(),
    Formatter = {logger_formatter, #{template => [msg, "\n"]}},
    logger:update_handler_config(default, #{filters => [], filter_default => log, formatter => Formatter}),
    IsRefused = fun(File) ->
        Files = lists:filter(fun filelib:is_regular/1, [File | More]),
        Context = #{os_type => os:type(), plugins_path => Plugins},
        try rabbit_prelaunch_conf:generate_config_from_cuttlefish_files(Context, Files, undefined) of
            _ -> false
        catch
            throw:{error, _} -> true;
            _:_ -> false
        end
    end,
    case IsRefused(New) of
        false -> halt(0);
        true ->
            logger:set_primary_config(level, none),
            IsNoJudge = IsRefused(Old),
            logger_std_h:filesync(default),
            case IsNoJudge of
                true -> halt(0);
                false -> halt(1)
            end
    end.' -extra "$@"
